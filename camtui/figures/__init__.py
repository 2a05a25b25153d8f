"""Pictures of a run: one image as a method sees it, Figure 2 of the paper, charts, the report.

``panels`` one image in one cell  ·  ``sheet`` panels beside and below each other
``charts`` matplotlib, an extra  ·  ``report`` one self-contained page  ·  ``together`` over several
"""
