"""Ground truth: masks, Pascal VOC boxes and COCO annotations beside the images.

The files are untrusted input.

``folder`` finds the truth of an image and its identity  ·  ``region`` pixels of an object, resized
and cropped as its image is ``masks`` ``voc`` ``coco`` one format each
"""
