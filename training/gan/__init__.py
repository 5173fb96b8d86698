"""The GAN as a Keras model; it knows no folder and no preset."""
