"""The network and its training, in plain NumPy: two convolutions with ReLU and one dense layer.

    (3, 8, 8) -> conv 3x3, 16 -> ReLU -> max 2x2 -> (16, 4, 4) -> conv 3x3, 32 -> ReLU -> dense -> 10
"""

import numpy as np

SEED = 7
EPOCHS = 60
BATCH = 32
LEARNING_RATE = 2e-3


def train(images, labels):
    """Trains on (n, 3, 8, 8) images; gives the weights by name, float32."""
    rng = np.random.default_rng(SEED)
    weights = {
        "w1": he(rng, (16, 3, 3, 3)),
        "b1": np.zeros(16),
        "w2": he(rng, (32, 16, 3, 3)),
        "b2": np.zeros(32),
        "w3": he(rng, (10, 32, 4, 4)),
        "b3": np.zeros(10),
    }
    means = {name: np.zeros_like(w) for name, w in weights.items()}
    squares = {name: np.zeros_like(w) for name, w in weights.items()}
    images = images.astype(np.float64)
    step, n_steps = 0, EPOCHS * -(-len(images) // BATCH)
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        for first in range(0, len(order), BATCH):
            chosen = order[first : first + BATCH]
            gradients = backward(weights, shift(rng, images[chosen]), labels[chosen])
            rate = LEARNING_RATE * (1 + np.cos(np.pi * step / n_steps)) / 2
            step += 1
            for name, gradient in gradients.items():  # Adam
                gradient = gradient + 1e-4 * weights[name]
                means[name] += 0.1 * (gradient - means[name])
                squares[name] += 0.001 * (gradient**2 - squares[name])
                mean, square = means[name] / (1 - 0.9**step), squares[name] / (1 - 0.999**step)
                weights[name] -= rate * mean / (np.sqrt(square) + 1e-8)
    return {name: w.astype(np.float32) for name, w in weights.items()}


def predict(weights, images):
    """The class of each image."""
    return forward(weights, images)[0].argmax(axis=1)


def he(rng, shape):
    return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)


def shift(rng, images):
    """Moves each image by up to one pixel up or down; what comes in is background."""
    background = images.min()
    shifted = np.full_like(images, background)
    for image, into, rows in zip(images, shifted, rng.integers(-1, 2, len(images))):
        if rows == 0:
            into[:] = image
        elif rows > 0:
            into[:, rows:] = image[:, :-rows]
        else:
            into[:, :rows] = image[:, -rows:]
    return shifted


def patches(x):
    """(n, c, h, w) to the 3x3 patch around each pixel: (n, h, w, c * 9)."""
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 9)


def unpatch(gradient, c):
    """The gradient of `patches`: adds each patch back where it was read."""
    n, h, w, _ = gradient.shape
    padded = np.zeros((n, c, h + 2, w + 2))
    for row in range(3):
        for column in range(3):
            part = gradient.reshape(n, h, w, c, 3, 3)[..., row, column]
            padded[:, :, row : row + h, column : column + w] += part.transpose(0, 3, 1, 2)
    return padded[:, :, 1:-1, 1:-1]


def conv(x, w, b):
    read = patches(x)
    return (read @ w.reshape(len(w), -1).T + b).transpose(0, 3, 1, 2), read


def conv_backward(gradient, read, w):
    gradient = gradient.transpose(0, 2, 3, 1)
    flat = gradient.reshape(-1, len(w))
    dw = (flat.T @ read.reshape(len(flat), -1)).reshape(w.shape)
    dx = unpatch(gradient @ w.reshape(len(w), -1), w.shape[1])
    return dx, dw, flat.sum(axis=0)


def forward(weights, x):
    h1, read1 = conv(x, weights["w1"], weights["b1"])
    h1 = np.maximum(h1, 0)
    n, c, h, w = h1.shape
    windows = h1.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    pooled = windows.max(axis=-1)
    h2, read2 = conv(pooled, weights["w2"], weights["b2"])
    h2 = np.maximum(h2, 0)
    scores = h2.reshape(n, -1) @ weights["w3"].reshape(10, -1).T + weights["b3"]
    return scores, (h1, read1, windows, h2, read2)


def backward(weights, x, labels):
    """Gradients of the mean cross-entropy."""
    scores, (h1, read1, windows, h2, read2) = forward(weights, x)
    n = len(x)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    d_scores = odds / odds.sum(axis=1, keepdims=True)
    d_scores[np.arange(n), labels] -= 1
    d_scores /= n
    w3 = weights["w3"].reshape(10, -1)
    d_h2 = (d_scores @ w3).reshape(h2.shape) * (h2 > 0)
    d_pooled, dw2, db2 = conv_backward(d_h2, read2, weights["w2"])
    d_windows = np.zeros_like(windows)
    np.put_along_axis(d_windows, windows.argmax(axis=-1)[..., None], d_pooled[..., None], axis=-1)
    c, half = h1.shape[1], h1.shape[2] // 2
    d_h1 = d_windows.reshape(n, c, half, half, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(h1.shape) * (h1 > 0)
    _, dw1, db1 = conv_backward(d_h1, read1, weights["w1"])
    dw3 = (d_scores.T @ h2.reshape(n, -1)).reshape(weights["w3"].shape)
    return {"w1": dw1, "b1": db1, "w2": dw2, "b2": db2, "w3": dw3, "b3": d_scores.sum(axis=0)}
