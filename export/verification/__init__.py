"""Whether an exported file does what the Keras model does.

Each file is run by the runtime that it is for, in a process that has no Keras model,
on the same latents (and labels) as Keras.
"""
