"""The folder of the report: made before training, taken back if nothing came into it."""

from pathlib import Path

from clients.training.checkpoint import check_writable


class ReportFolder:
    """A folder that takes files, and what of it was made for this run."""

    def __init__(self, path: Path) -> None:
        """Make the folder, with those it lies in, where they are missing.

        Raises:
            OSError: It can't be made, or takes no files.
        """
        try:
            self._made = [folder for folder in (path, *path.parents) if not folder.exists()]
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            sentence = f"--report {path}: this is a file, a folder was expected"
            raise FileExistsError(sentence) from error
        except OSError as error:
            raise OSError(f"--report {path}: can't make this folder: {error.strerror}") from error
        check_writable("--report", path / "report.json")

    def take_back(self) -> None:
        """Remove what was made, as far as it is empty."""
        for folder in self._made:
            if not folder.is_dir() or any(folder.iterdir()):
                return
            folder.rmdir()
