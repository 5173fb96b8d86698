"""GANs that train with `model.fit` under `tf.distribute`."""
