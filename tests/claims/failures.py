"""Claims of the sections "Where it fails" of docs/models, by model."""

from __future__ import annotations

from tests.claims.against import (
    FRECHET,
    SHARE,
    all_active,
    below,
    best_of_moving,
    cheaper,
    count_below_half,
    errors,
    flagged,
    left_out,
    lowest,
    lowest_of_three,
    median_error,
    none_separated,
    over_seeds,
    sandals,
    searched,
    times,
    without_a_model,
)
from tests.claims.cells import auroc, mean, per_class, verdict
from tests.claims.claim import Claim
from tests.claims.tables import CLASSES
from tests.claims.values import both, moving

FAILURES: dict[str, list[Claim]] = {
    "ae": [
        lowest("ae", (8, 2), (6, 8)),
        flagged("ae", "quick"),
        without_a_model("ae"),
        Claim(
            "by the cosine distance sandals have {:.3f}, by the squared error {:.3f}",
            lambda: [sandals("ae"), sandals("ae", "auroc")],
        ),
        left_out("ae", "A shirt among nine other clothes has {:.3f}", "fashion_mnist", 6),
        Claim(
            "the anomalies of `moving_mnist` come back better than normal sequences (AUROC {:.3f})",
            lambda: [mean("moving_mnist", "ae", "moving_mnist")],
            holds=lambda: mean("moving_mnist", "ae", "moving_mnist") < 0.5,
        ),
    ],
    "vae": [
        lowest("vae", (8, 2), (6, 8)),
        Claim(
            "its mean AUROC is {:.3f} on MNIST and {:.3f} on Fashion-MNIST, below one half on {:d} of 20 classes",
            lambda: [*both("quick", "vae", "auroc_kl"), count_below_half("vae", "auroc_kl")],
        ),
        Claim("VAE and AE are {} by their own scores", lambda: [verdict("quick", "vae", "ae")]),
        Claim("all 16 dimensions of the code are active in each of the 20 cells", holds=all_active),
        Claim(
            "a Fréchet distance of {:.0f} and {:.0f} (classifier; family table), further than draws of the histogram "
            "({:.0f} and {:.0f})",
            lambda: [value for m in ("vae", "histogram") for value in both("family", m, FRECHET)],
            holds=lambda: all(
                mean("family", "vae", d, FRECHET) > mean("family", "histogram", d, FRECHET) for d in CLASSES
            ),
        ),
    ],
    "aae": [
        lowest("aae", (8, 2), (8, 6)),
        Claim(
            "ranks anomalies below normal images on {:d} of 20 classes (mean AUROC {:.3f} and {:.3f})",
            lambda: [count_below_half("aae", "auroc_discriminator"), *both("quick", "aae", "auroc_discriminator")],
        ),
        Claim(
            "With it the error detects less than alone: `combined` {:.3f} and {:.3f}, `reconstruction` {:.3f} and "
            "{:.3f}",
            lambda: [v for m in ("auroc_combined", "auroc_reconstruction") for v in both("quick", "aae", m)],
            holds=lambda: all(
                mean("quick", "aae", d, "auroc_combined") < mean("quick", "aae", d, "auroc_reconstruction")
                for d in CLASSES
            ),
        ),
        Claim("MMD² {:.3f} on MNIST and {:.3f} on Fashion-MNIST", lambda: both("quick", "aae", "latent_prior_mmd2")),
        Claim("AAE and AE are {} by their own scores", lambda: [verdict("quick", "aae", "ae")]),
    ],
    "pca": [
        lowest("pca", (8, 2), (6, 8)),
        flagged("pca", "quick"),
        Claim(
            "anomalies come back with {:.1f} times the error of 8s, in the median of the ten digits {:.1f} times",
            lambda: [errors("pca", "mnist", 8), median_error("pca", "mnist")],
        ),
        Claim(
            "With nine classes normal its means are {:.3f} and {:.3f}, and a shirt among nine other clothes is below "
            "chance ({:.3f})",
            lambda: [
                *both("leave_one_out", "pca", variant=SHARE),
                auroc("leave_one_out", "pca", "fashion_mnist", 6, variant=SHARE),
            ],
            holds=lambda: auroc("leave_one_out", "pca", "fashion_mnist", 6, variant=SHARE) < 0.5,
        ),
        without_a_model("pca"),
    ],
    "mean_image": [
        lowest("mean_image", (5, 2), (6, 8)),
        Claim(
            "With nine classes normal it is the mean of nine things: the 1 left out has {:.3f}, the shirt {:.3f}",
            lambda: [
                auroc("leave_one_out", "mean_image", d, k, variant=SHARE)
                for d, k in (("mnist", 1), ("fashion_mnist", 6))
            ],
        ),
        Claim(
            "by the cosine distance sandals have {:.3f}, by the squared error {:.3f}",
            lambda: [sandals("mean_image"), sandals("mean_image", "auroc")],
        ),
    ],
    "histogram": [
        lowest("histogram", (8, 2), (6, 2)),
        Claim(
            "ranks anomalies below normal images on {:d} of 20 classes: the 8, the shirt, the pullover and the bag",
            lambda: [count_below_half("histogram", "auroc")],
            holds=lambda: (
                [list(values.index[values < 0.5]) for d in CLASSES for values in [per_class("quick", "histogram", d)]]
                == [[8], [2, 6, 8]]
            ),
        ),
        Claim(
            "beside 1s, trousers and sneakers it has {:.3f}, {:.3f} and {:.3f}",
            lambda: [
                auroc("quick", "histogram", d, k) for d, k in (("mnist", 1), ("fashion_mnist", 1), ("fashion_mnist", 7))
            ],
        ),
    ],
    "anogan": [
        lowest("anogan", (8, 2), (6, 2)),
        below("anogan", "below PCA on both data sets", ["pca"], ["pca"], "quick"),
        Claim("AnoGAN and PCA are {} by their own scores", lambda: [verdict("quick", "anogan", "pca")]),
        Claim(
            "Normal images come back with {:.1f} and {:.1f} times the AE's error",
            lambda: [times("test_reconstruction_normal", "anogan", "ae", d, "quick") for d in CLASSES],
        ),
        Claim(
            "The search scores {:,.0f} images a second, the AE {:,.0f}",
            lambda: [mean("quick", m, "mnist", "score_images_per_second") for m in ("anogan", "ae")],
        ),
        Claim(
            "With nine digits to draw it has {:.3f} on the 1 (sd {:.3f} over three seeds), below chance, and {:.3f} on "
            "the 8 (sd {:.3f})",
            lambda: [value for k in (1, 8) for value in over_seeds("log_gradients=True train_fraction=0.1", k)],
            holds=lambda: over_seeds("log_gradients=True train_fraction=0.1", 1)[0] < 0.5,
        ),
        Claim("no other training of the GAN is separated from this one", holds=none_separated),
    ],
    "cond_aae": [
        lowest_of_three("cond_aae"),
        flagged("cond_aae", "family"),
        Claim(
            "The energy of the style alone has {:.3f} and {:.3f} in the mean of three classes, {:.3f} on the 8",
            lambda: [
                *both("family", "cond_aae", "auroc_prior_energy"),
                auroc("family", "cond_aae", "mnist", 8, "auroc_prior_energy"),
            ],
        ),
        Claim(
            "of nine classes its own score is lowest on the 1 ({:.3f}) and on the shirt ({:.3f})",
            lambda: [
                auroc("leave_one_out", "cond_aae", d, k, variant=SHARE) for d, k in (("mnist", 1), ("fashion_mnist", 6))
            ],
            holds=lambda: (
                [per_class("leave_one_out", "cond_aae", d, variant=SHARE).idxmin() for d in CLASSES] == [1, 6]
            ),
        ),
        Claim(
            "the energy of the style has {:.3f} on the sandal",
            lambda: [auroc("leave_one_out", "cond_aae", "fashion_mnist", 5, "auroc_prior_energy", SHARE)],
        ),
        Claim(
            "below k-NN on digits and clothes",
            holds=lambda: all(
                mean("leave_one_out", "cond_aae", d, variant=SHARE) < mean("leave_one_out", "knn", d, variant=SHARE)
                for d in CLASSES
            ),
        ),
    ],
    "conv_lstm_ae": [
        lowest_of_three("conv_lstm_ae"),
        flagged("conv_lstm_ae", "family"),
        Claim(
            "as shipped it has an AUROC of {:.3f} on `moving_mnist`, below PCA ({:.3f})",
            lambda: [mean("moving_mnist", m, "moving_mnist") for m in ("conv_lstm_ae", "pca")],
            holds=lambda: (
                mean("moving_mnist", "conv_lstm_ae", "moving_mnist") < mean("moving_mnist", "pca", "moving_mnist")
            ),
        ),
        Claim("{:.3f} against another digit and {:.3f} against another motion", lambda: moving("conv_lstm_ae")[1:]),
        Claim("the best of six settings has {:.3f}", lambda: [best_of_moving()]),
    ],
    "lstm_ae": [
        below("lstm_ae", "It is below PCA on both data sets", ["pca"], ["pca"]),
        lowest_of_three("lstm_ae"),
        flagged("lstm_ae", "family"),
        Claim(
            "Normal images come back with {:.1f} and {:.1f} times PCA's error",
            lambda: [times("test_reconstruction_normal", "lstm_ae", "pca", d) for d in CLASSES],
        ),
        Claim(
            "Frame by frame it has an AUROC of {:.3f} on `moving_mnist`, below one half",
            lambda: [mean("moving_mnist", "lstm_ae", "moving_mnist", variant="steps=frames")],
            holds=lambda: mean("moving_mnist", "lstm_ae", "moving_mnist", variant="steps=frames") < 0.5,
        ),
    ],
    "gan": [
        below("gan", "below the mean image and PCA on both data sets", ["mean_image", "pca"], ["mean_image", "pca"]),
        Claim(
            "On MNIST its threshold flags {:.1%} of the anomalies and {:.1%} of the normal images",
            lambda: [mean("family", "gan", "mnist", metric) for metric in ("recall", "false_alarm_rate")],
        ),
        Claim(
            "The discriminator's own judgement has {:.3f} and {:.3f}, and ranks anomalies below T-shirts ({:.3f})",
            lambda: [
                *both("family", "gan", "auroc_discriminator"),
                auroc("family", "gan", "fashion_mnist", 0, "auroc_discriminator"),
            ],
        ),
        Claim(
            "D is at {:.2f} on real and {:.2f} on generated digits",
            lambda: [mean("family", "gan", "mnist", metric) for metric in ("gan_d_real", "gan_d_fake")],
        ),
    ],
    "fanogan": [
        below("fanogan", "below PCA on MNIST and above it on Fashion-MNIST", ["pca"], []),
        Claim(
            "({:.3f} and {:.3f} beside {:.3f} and {:.3f}), three classes each",
            lambda: [*both("family", "fanogan"), *both("family", "pca")],
        ),
        lowest_of_three("fanogan"),
        Claim(
            "the plain squared error has {:.3f} and {:.3f} where A(x) has {:.3f} and {:.3f}",
            lambda: [v for m in ("auroc_reconstruction", "auroc") for v in both("family", "fanogan", m)],
            holds=lambda: all(
                mean("family", "fanogan", d, "auroc_reconstruction") > mean("family", "fanogan", d) for d in CLASSES
            ),
        ),
        Claim(
            "40 steps of the search from the encoder's code move it from {:.3f} to {:.3f} on MNIST",
            lambda: [searched(), searched("search_steps=40 ")],
            holds=lambda: searched() > searched("search_steps=40 "),
        ),
        Claim("it trains {:.0f} times as long as the AE", lambda: [times("train_seconds", "fanogan", "ae", "mnist")]),
    ],
    "flow": [
        Claim(
            "The likelihood alone has {:.3f} and {:.3f} in the mean of three classes, and {:.3f} on shirts, whose "
            "anomalies need fewer bits than they do",
            lambda: [
                *both("family", "flow", "auroc_negative_log_likelihood"),
                auroc("family", "flow", "fashion_mnist", 6, "auroc_negative_log_likelihood"),
            ],
            holds=lambda: cheaper("flow", "mnist", []) and cheaper("flow", "fashion_mnist", [6]),
        ),
        Claim("`typicality` {:.3f} and {:.3f}", lambda: both("family", "flow", "auroc_typicality")),
        Claim(
            "The ratio is behind PCA on the 0, the 3 and the T-shirt ({:.3f}, {:.3f} and {:.3f} beside {:.3f}, {:.3f} "
            "and {:.3f})",
            lambda: [
                auroc("family", m, d, k)
                for m in ("flow", "pca")
                for d, k in (("mnist", 0), ("mnist", 3), ("fashion_mnist", 0))
            ],
            holds=lambda: (
                [k for d in CLASSES for k in CLASSES[d] if auroc("family", "flow", d, k) < auroc("family", "pca", d, k)]
                == [0, 3, 0]
            ),
        ),
        Claim(
            "on the 0 also behind its own `prediction_error` ({:.3f})",
            lambda: [auroc("family", "flow", "mnist", 0, "auroc_prediction_error")],
            holds=lambda: (
                auroc("family", "flow", "mnist", 0, "auroc_prediction_error") > auroc("family", "flow", "mnist", 0)
            ),
        ),
        Claim("it trains {:.0f} times as long as the AE", lambda: [times("train_seconds", "flow", "ae", "mnist")]),
    ],
    "diffusion": [
        Claim(
            "The bound has an AUROC of {:.3f} on MNIST and {:.3f} on Fashion-MNIST; beside each of the three digits "
            "and the shirts, anomalies need fewer bits than normal images",
            lambda: both("family", "diffusion", "auroc_variational_bound"),
            holds=lambda: cheaper("diffusion", "mnist", [0, 3, 8]) and cheaper("diffusion", "fashion_mnist", [6]),
        ),
        Claim(
            "by the cosine distance sandals have {:.3f}, by the headline {:.3f}",
            lambda: [sandals("diffusion"), sandals("diffusion", "auroc")],
        ),
        lowest_of_three("diffusion"),
        Claim(
            "A cell trains {:.0f} times as long as one of the AE and scores {:,.0f} times as long",
            lambda: [times(f"{what}_seconds", "diffusion", "ae", "mnist") for what in ("train", "score")],
        ),
    ],
    "gmm": [
        below("gmm", "below the mean image and PCA on Fashion-MNIST, above both on MNIST", [], ["mean_image", "pca"]),
        Claim(
            "on the 0 behind PCA ({:.3f} beside {:.3f})",
            lambda: [auroc("family", m, "mnist", 0) for m in ("gmm", "pca")],
            holds=lambda: auroc("family", "gmm", "mnist", 0) < auroc("family", "pca", "mnist", 0),
        ),
        lowest_of_three("gmm"),
        flagged("gmm", "family"),
    ],
    "iforest": [
        below(
            "iforest", "below the mean image and PCA on MNIST, above both on Fashion-MNIST", ["mean_image", "pca"], []
        ),
        lowest_of_three("iforest"),
        flagged("iforest", "family"),
    ],
    "kde": [
        lowest_of_three("kde"),
        flagged("kde", "family"),
        Claim(
            "On the 3 it is behind PCA ({:.3f} beside {:.3f})",
            lambda: [auroc("family", m, "mnist", 3) for m in ("kde", "pca")],
            holds=lambda: auroc("family", "kde", "mnist", 3) < auroc("family", "pca", "mnist", 3),
        ),
        Claim(
            "2,000 images take {:.0f} times as long to score as PCA's",
            lambda: [times("score_seconds", "kde", "pca", "mnist")],
        ),
    ],
    "knn": [
        lowest_of_three("knn"),
        flagged("knn", "family"),
        Claim(
            "On the 3 it is behind PCA ({:.3f} beside {:.3f})",
            lambda: [auroc("family", m, "mnist", 3) for m in ("knn", "pca")],
            holds=lambda: auroc("family", "knn", "mnist", 3) < auroc("family", "pca", "mnist", 3),
        ),
        Claim(
            "With nine classes normal it has {:.3f} on digits and {:.3f} on clothes",
            lambda: both("leave_one_out", "knn", variant=SHARE),
        ),
        Claim(
            "2,000 images take {:.0f} times as long to score as PCA's",
            lambda: [times("score_seconds", "knn", "pca", "mnist")],
        ),
    ],
    "ocsvm": [
        lowest_of_three("ocsvm"),
        flagged("ocsvm", "family"),
        Claim(
            "On the 3 it is behind PCA ({:.3f} beside {:.3f})",
            lambda: [auroc("family", m, "mnist", 3) for m in ("ocsvm", "pca")],
            holds=lambda: auroc("family", "ocsvm", "mnist", 3) < auroc("family", "pca", "mnist", 3),
        ),
    ],
    "deep_svdd": [
        lowest_of_three("deep_svdd", "references"),
        flagged("deep_svdd", "references"),
        Claim(
            "`svdd/code_spread` is {:.4f} and {:.4f} after training",
            lambda: both("references", "deep_svdd", "svdd_code_spread"),
        ),
    ],
    "geom": [
        lowest_of_three("geom", "references"),
        flagged("geom", "references"),
        Claim(
            "On the 0 it is behind PCA and the mean image ({:.3f} beside {:.3f} and {:.3f})",
            lambda: [auroc("references", m, "mnist", 0) for m in ("geom", "pca", "mean_image")],
            holds=lambda: (
                auroc("references", "geom", "mnist", 0)
                < min(auroc("references", m, "mnist", 0) for m in ("pca", "mean_image"))
            ),
        ),
        Claim(
            "the paper's own score, `dirichlet`, has {:.3f} and {:.3f}, below the simplified one",
            lambda: both("references", "geom", "auroc_dirichlet"),
            holds=lambda: all(
                mean("references", "geom", d, "auroc_dirichlet") < mean("references", "geom", d) for d in CLASSES
            ),
        ),
        Claim(
            "Scoring takes {:.0f} times as long as Deep SVDD's",
            lambda: [times("score_seconds", "geom", "deep_svdd", "mnist", "references")],
        ),
    ],
}
