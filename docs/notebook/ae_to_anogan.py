# %% [markdown]
# # From the autoencoder to AnoGAN
#
# Four models that are trained on normal images alone, built from one another: the autoencoder (AE), the variational
# autoencoder (VAE), the adversarial autoencoder (AAE) and AnoGAN, with the parts of this suite. The images are
# scikit-learn's digits, so that nothing is downloaded and everything runs in half a minute. One class is normal, the
# others are anomalies that no model has seen.
#
# This file is a notebook: Jupyter opens `ae_to_anogan.ipynb`, an editor that knows `# %%` opens `ae_to_anogan.py`.
# The second is the source; `python -m tests.tools.notebook` runs it and writes the first, and the tests run it as
# well.

# %%
from pathlib import Path

from benchmark import Detector  # isort: skip  # before numpy and torch: the bits are then the same everywhere
import matplotlib.pyplot as plt
import torch
from sklearn.metrics import roc_auc_score

from benchmark.data.images import load_images
from benchmark.detect.fitting import split_of
from benchmark.detect.ruling import under_rule
from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scored, Scoring, View, score_images
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from benchmark.models import model_class
from benchmark.models.parts.latent import kl_to_standard_normal
from benchmark.rules import shipped
from benchmark.sweep.compose import compose_jobs

torch.set_num_threads(1)
NORMAL = 3
data = load_images(compose_jobs(["dataset=digits"])[0].config.dataset, Path())
images, index = data.train_images, (data.train_labels == NORMAL).nonzero().flatten()
anomalous = (data.test_labels != NORMAL).numpy()
print(f"{len(index)} normal images to train on, {len(anomalous)} to test, {anomalous.sum()} of them anomalous")

# %% [markdown]
# Two helpers. A **fleet** holds the weights of one model or of many that are trained together; here it is one.
# `score_images` asks it what it says of images: named scores (larger is more anomalous), codes, reconstructions.


# %%
def trained(name: str, epochs: int, **settings) -> tuple[Fleet, list[dict[str, float]]]:
    """A model trained on the normal class, and a row of losses an epoch."""
    torch.manual_seed(0)
    fleet = Fleet([model_class(name)((1, 28, 28), **settings)])
    (training,) = train(fleet, images, [Member(index, 0, 0)], Settings(epochs, 32, len(index)))
    return fleet, training.history


def said(fleet: Fleet) -> Scored:
    """What it says of the test images."""
    wanted = ("scores", "kl", "code", "reconstruction")
    (found,) = score_images(fleet, data.test_images, [View(torch.arange(len(anomalous)), 0)], Scoring(500), wanted)
    return found


def auroc(score: torch.Tensor) -> float:
    return float(roc_auc_score(anomalous, score.numpy()))


SMALL = {"latent": 2, "hidden": (64,)}  # two numbers as code, so that it can be drawn

# %% [markdown]
# ## The autoencoder
#
# An encoder $f$ and a decoder $g$ minimise $\lVert x - g(f(x)) \rVert^2$. Of a class that it has not seen the
# reconstruction is poor, and the squared error is the score. Below: test images, reconstructions; the anomalous ones
# become threes.

# %%
ae, _ = trained("ae", 60, **SMALL)
of_ae = said(ae)
auroc_ae = auroc(of_ae.scores["reconstruction"])
shown = [*(~anomalous).nonzero()[0][:4], *anomalous.nonzero()[0][:6]]
figure, axes = plt.subplots(2, len(shown), figsize=(8, 1.8))
for column, i in enumerate(shown):
    axes[0, column].imshow(data.test_images[i, 0], cmap="gray")
    axes[1, column].imshow(of_ae.reconstruction[i, 0], cmap="gray", vmin=0, vmax=1)
for axis in axes.flat:
    axis.set_axis_off()
plt.show()
print(f"AUROC of the squared error: {auroc_ae:.3f}")

# %% [markdown]
# ## The variational autoencoder
#
# The encoder gives a distribution $q(z \mid x) = \mathcal N(\mu, \sigma^2)$, and training minimises $-\log p(x \mid
# z) + \beta\,\mathrm{KL}(q(z \mid x) \,\Vert\, \mathcal N(0, I))$. The KL has a closed form, and the mean of $\log
# q(z) - \log p(z)$ over draws of $z$ comes near it:

# %%
mean, log_variance = torch.tensor([[0.5, -1.0]]), torch.tensor([[-1.0, 0.3]])
closed = float(kl_to_standard_normal(mean, log_variance))
q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
torch.manual_seed(0)
z = q.sample((100_000,))
drawn = float((q.log_prob(z) - torch.distributions.Normal(0, 1).log_prob(z)).sum(-1).mean())
print(f"KL in closed form {closed:.3f} nats, by draws {drawn:.3f}")

# %% [markdown]
# With $\beta = 1$ codes of normal images are spread about as the prior is. With a large $\beta$ the cheapest way to a
# small KL is to say the same of every image: the **posterior collapses**, the KL falls to nearly nothing, and every
# reconstruction is nearly the mean image.

# %%
vae, _ = trained("vae", 200, scale=0.5, **SMALL)
collapsed, _ = trained("vae", 60, scale=0.5, beta=200.0, **SMALL)
of_vae, of_collapsed = said(vae), said(collapsed)
kl_vae, kl_collapsed = (float(found.quantities["kl"][~anomalous].mean()) for found in (of_vae, of_collapsed))
spread_vae, spread_collapsed = (
    float(found.reconstruction[~anomalous].std(0).mean()) for found in (of_vae, of_collapsed)
)
auroc_vae = auroc(of_vae.scores["elbo_excess"])
auroc_kl = auroc(of_vae.scores["kl"])
print(f"beta 1: KL {kl_vae:.2f} nats, reconstructions vary by {spread_vae:.3f}, AUROC {auroc_vae:.3f}")
print(f"beta 200: KL {kl_collapsed:.3f} nats, reconstructions vary by {spread_collapsed:.3f}")
print(f"AUROC of the KL alone: {auroc_kl:.3f}: below one half, anomalous images are coded nearer to the prior")

# %% [markdown]
# ## The adversarial autoencoder
#
# No KL: a discriminator compares codes with draws from the prior, and the encoder learns to fool it. So the prior may
# be anything that can be drawn from. The latent maps: blue are normal test images, orange anomalous ones; the circles
# hold half and nearly all of the prior.

# %%
aae, _ = trained("aae", 200, adversarial_learning_rate=0.002, **SMALL)
of_aae = said(aae)
auroc_aae = auroc(of_aae.scores["reconstruction"])
codes = {"AE": of_ae.code, "VAE": of_vae.code, "AAE": of_aae.code}
figure, axes = plt.subplots(1, 3, figsize=(8, 2.8))
for axis, (title, code) in zip(axes, codes.items(), strict=True):
    for which, colour in ((anomalous, "#D55E00"), (~anomalous, "#0072B2")):
        axis.scatter(*code[which].T, s=5, color=colour)
    for radius in (1.18, 3.03):
        axis.add_patch(plt.Circle((0, 0), radius, fill=False, color="0.6", linewidth=0.8))
    axis.set_title(title)
    axis.set_aspect("equal", adjustable="datalim")
plt.show()
print(f"AUROC of the squared error: {auroc_aae:.3f}")

# %% [markdown]
# ## The generative adversarial network, and a gradient that vanishes
#
# The generator minimises $\log(1 - D(G(z)))$ in the **minimax** game. Its slope in the discriminator's logit $a$ is
# $-\sigma(a)$: where $D$ is sure that an image is generated ($a$ far below zero), there is nothing to learn from. The
# **non-saturating** loss $-\log D(G(z))$ has the slope $-\sigma(-a)$, which is then largest. Beside the formulas: the
# norms of the generator's gradient under both losses, while $D$ makes three steps for each of $G$.

# %%
strong, history = trained(
    "anogan", 30, objective="minimax", log_gradients=True, discriminator_steps=3, latent=8,
    hidden=(64,), discriminator_hidden=(64,),
)  # fmt: skip
norms = {kind: [row[f"train/gradient_norm_{kind}"] for row in history] for kind in ("minimax", "non_saturating")}
logit = torch.linspace(-6, 3, 100, requires_grad=True)
slopes = {
    "minimax": torch.autograd.grad(torch.log(1 - logit.sigmoid()).sum(), logit)[0],
    "non_saturating": torch.autograd.grad(-torch.log(logit.sigmoid()).sum(), logit)[0],
}
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
for kind, colour in (("minimax", "#D55E00"), ("non_saturating", "#0072B2")):
    axes[0].plot(logit.detach(), -slopes[kind], color=colour, label=kind)
    axes[1].semilogy(norms[kind], color=colour)
axes[0].set(xlabel="logit of D at a generated image", ylabel="what G learns from")
axes[1].set(xlabel="epoch", ylabel="norm of G's gradient")
axes[0].legend(frameon=False)
plt.show()
print(f"D says of generated images that they are real with {history[-1]['train/d_fake']:.3f}")
print(f"gradient of minimax / of non-saturating at the end: {norms['minimax'][-1] / norms['non_saturating'][-1]:.4f}")

# %% [markdown]
# ## AnoGAN's search
#
# A GAN has no encoder. For a test image AnoGAN searches for the $z$ whose image is nearest to it, in pixels and in
# features of the discriminator, by steps of gradient descent with both networks fixed; what is left over is the
# score. More steps make every image's loss smaller, that of anomalous ones too.

# %%
anogan, _ = trained("anogan", 80, latent=8, hidden=(64,), discriminator_hidden=(64,))
search = {}
for steps in (0, 10, 40):
    anogan.model.search_steps = steps
    found = said(anogan)
    total = found.scores["total"]
    search[steps] = float(total[~anomalous].mean()), float(total[anomalous].mean()), auroc(total)
    print(f"{steps:3} steps: A(x) {search[steps][0]:.1f} normal, {search[steps][1]:.1f} anomalous, "
          f"AUROC {search[steps][2]:.3f}")  # fmt: skip
auroc_anogan, drawn_images = search[40][2], found.reconstruction

# %% [markdown]
# ## Why the rule matters
#
# A **rule** makes a score of what a model says. `Detector` is the same engine with scikit-learn's face. Each model is
# trained once and judged under five rules, so that in a row below only the model differs, in a column only the rule.

# %%
RULES = ("squared", "cosine", "smoothed", "ssim", "mahalanobis")
MODELS = {
    "pca": {"components": 8},
    "ae": {"latent": 8, "hidden": (64,), "epochs": 40, "batch_size": 32},
    "vae": {"latent": 8, "hidden": (64,), "epochs": 40, "batch_size": 32},
}
table = {}
for model, settings in MODELS.items():
    detector = Detector(model, alpha=0.1, **settings).fit(images[index].numpy())
    split = split_of(detector.plan_, len(index))
    known, kept = (images[index][rows] for rows in (split.train_index, split.calibration_index))
    for rule in RULES:
        scorer = under_rule(detector.scorer_, shipped(rule), known, kept)
        table[model, rule] = float(roc_auc_score(anomalous, scorer.scores(data.test_images)))
print(" " * 12 + "".join(f"{model:>8}" for model in MODELS))
for rule in RULES:
    print(f"{rule:12}" + "".join(f"{table[model, rule]:8.3f}" for model in MODELS))
over_rules = max(max(table[m, r] for r in RULES) - min(table[m, r] for r in RULES) for m in MODELS)
over_models = {r: max(table[m, r] for m in MODELS) - min(table[m, r] for m in MODELS) for r in RULES}
print(f"one model under other rules: up to {over_rules:.3f}; other models under one rule: "
      f"{sorted(over_models.values())[len(RULES) // 2]:.3f} in the middle")  # fmt: skip

# %% [markdown]
# So two papers that compare "an AE" with "a VAE" may well compare two rules. The tables of this suite cross both:
# [results/rules](../../results/rules/tables.md), and [how a rule is chosen](../selection.md) without looking at the
# test images.
