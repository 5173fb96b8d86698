"""The devices that a run trains on, and the workers that it is spread over."""
