//! Convolutional architectures as data: layers, shapes, receptive fields, key names.
