"""What a command says of an error that ends it: a sentence for a person, without error numbers."""


def sentence(error: BaseException) -> str:
    """Say what is wrong; of a file that can't be had, which one and why."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
