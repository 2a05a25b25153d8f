"""Where the object is: masks, Pascal VOC boxes and COCO annotations beside the images.

Read as input from strangers.

``folder`` finds the truth of an image and its identity  ·  ``region`` pixels of an object, resized
and cropped as its image is ``masks`` ``voc`` ``coco`` one format each
"""
