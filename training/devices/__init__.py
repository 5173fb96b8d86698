"""The devices that a run trains on, and the workers that it is spread over."""

# Known here without TensorFlow, which `strategies` imports.
STRATEGIES = {
    "auto": "what the machine has: TPU, TF_CONFIG, several GPUs, or one device",
    "one-device": "the first GPU, or the CPU",
    "mirrored": "all GPUs (or logical CPUs) of this machine, one replica each",
    "multi-worker": "all machines that TF_CONFIG names, which must be set",
    "tpu": "the TPU that TPU_NAME names, or the one of this machine",
}
