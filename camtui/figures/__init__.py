"""Pictures of a run: one image as a method sees it, the paper's Figure 2, charts of averages.

The report page.

``panels`` one image in one cell  ·  ``sheet`` panels beside and below each other
``charts`` matplotlib, an extra  ·  ``report`` one self-contained page
"""
