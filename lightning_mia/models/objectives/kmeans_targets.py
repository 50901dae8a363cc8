"""K-means clusters of frames, the targets of HuBERT."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lightning_mia.models.layers.features import MFCC, padding_mask
from lightning_mia.utilities.errors import InputError

MAX_FRAMES = 2_000_000  # for the fit, 11 hours of speech
MAX_VALUES = 300_000_000  # in these frames: 1.2 GB, and as much again while they are standardised


class Centroids(nn.Module):
    """K-means on standardised frames, and nearest centroids.

    Args:
        n_clusters: k, at least 2.
        dim: width of a frame.

    Example:
        >>> frames = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
        >>> centroids = Centroids(n_clusters=2, dim=1)
        >>> centroids.fit_frames([frames], seed=0)
        >>> len(centroids.nearest(frames)[:2].unique()), len(centroids.nearest(frames).unique())
        (1, 2)
    """

    centroids: Tensor  # (k, dim) float32, of standardised frames
    mean: Tensor  # (dim,) float32, of the frames
    scale: Tensor  # (dim,) float32, their standard deviation
    fitted: Tensor  # () bool, saved with the weights

    def __init__(self, n_clusters: int, dim: int) -> None:
        super().__init__()
        if n_clusters < 2:
            raise InputError(f"Expected n_clusters of at least 2, but got {n_clusters}")
        self.register_buffer("centroids", torch.zeros(n_clusters, dim))
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.register_buffer("fitted", torch.tensor(False))

    def fit_frames(self, parts: Iterable[Tensor], seed: int) -> None:
        """Fit the centroids by k-means.

        The parts are (n, dim) float32 on the CPU.

        Raises:
            InputError: fewer frames than clusters.
        """
        from sklearn.cluster import MiniBatchKMeans

        n_clusters, dim = self.centroids.shape
        frames = thin_out(parts, min(MAX_FRAMES, MAX_VALUES // dim))  # (frames, dim)
        if len(frames) < n_clusters:
            raise InputError(
                f"{n_clusters} clusters cannot be fitted on {len(frames)} frames of 20 ms; "
                "train on more speech or lower --model.n_clusters"
            )
        scale, mean = torch.std_mean(frames, dim=0, correction=0)
        scale = scale.clamp(min=1e-6)  # a constant dimension stays finite
        standardised = (frames - mean) / scale
        # HuBERT's recipe has n_init=20; on a few hundred recordings 5 is as good, in a third of the time.
        kmeans = MiniBatchKMeans(n_clusters, batch_size=10_000, n_init=5, random_state=seed)
        kmeans.fit(standardised.numpy())
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        self.centroids.copy_(torch.from_numpy(kmeans.cluster_centers_))
        self.fitted.fill_(True)

    def nearest(self, frames: Tensor) -> Tensor:
        """(…, dim) float32 → (…) int64, nearest centroid."""
        x = (frames - self.mean) / self.scale
        # ‖x − c‖² without ‖x‖², which is the same for all centroids
        return (self.centroids.square().sum(dim=1) - 2 * x @ self.centroids.T).argmin(dim=-1)


class MFCCClusters(Centroids):
    """K-means on MFCC frames, and nearest centroids.

    There are 50 frames per second, of 39 coefficients each.

    Args:
        n_mels: mel bands of the log-mel frames.
        n_clusters: k, at least 2.
    """

    def __init__(self, n_mels: int, n_clusters: int) -> None:
        super().__init__(n_clusters, MFCC.dim)
        self.mfcc = MFCC(n_mels)

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], seed: int) -> None:
        """Fit the centroids on batches of log-mel frames.

        A batch is (batch, frames, n_mels) with lengths (batch,).

        Raises:
            InputError: fewer frames than clusters.
        """
        self.fit_frames((self._real_frames(*batch) for batch in batches), seed)

    def _real_frames(self, log_mel: Tensor, lengths: Tensor) -> Tensor:
        frames = self.mfcc(log_mel, lengths)  # (batch, frames at 50 Hz, 39)
        return frames[~padding_mask((lengths + 1) // 2, frames.shape[1])].cpu()

    @torch.no_grad()
    def forward(self, log_mel: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, n_mels), (batch,) real frames → (batch, ⌈frames / 2⌉) int64, nearest centroids."""
        with torch.autocast(log_mel.device.type, enabled=False):
            return self.nearest(self.mfcc(log_mel, lengths))


def thin_out(parts: Iterable[Tensor], limit: int) -> Tensor:
    """Stack parts (n, dim), thinned to at most `limit` rows.

    Every second row is dropped, as often as necessary.

    Example:
        >>> thin_out([torch.arange(6)[:, None], torch.arange(6, 10)[:, None]], limit=5).flatten().tolist()
        [0, 2, 4, 6, 8]
    """
    kept, step, n_kept = [], 1, 0
    for part in parts:
        kept.append(part[::step])
        n_kept += len(kept[-1])
        while n_kept > limit:
            kept, step = [torch.cat(kept)[::2]], 2 * step
            n_kept = len(kept[0])
    return torch.cat(kept)
