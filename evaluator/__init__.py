"""The evaluator: images × backbones × methods → one row of metrics each, in one SQLite file per run.

Two halves. This package itself imports nothing, so that touching the light half never wakes the heavy one::

    light  (stdlib, sqlite-utils)                     heavy  (torch, torchvision)
    errors  text  plan  records  statistics           backbones   model = trunk + head at the target layer
    catalog  images  crop                             loading     decode, preprocess, prefetch
    methods/  metrics/   what exists, as data         maps        upsample, min-max, mask
    store/    schema, writer, reader                  views       one pass over a batch, as a method sees it
    execution/  driver, schedule, local, lock         pipeline    one batch → rows
                                                      execution/worker
"""
