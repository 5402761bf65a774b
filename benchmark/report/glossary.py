"""What every metric means: key, formula in words, unit, and which direction is better."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str, str], ...] = (
    ("auroc", "Area under the ROC curve of the headline score; the anomaly is the positive class. "
     "Chance that a random anomalous image scores above a random normal one, ties counting one half. 0.5 is guessing.",
     "↑"),
    ("auroc_<score>", "The same for each named score of the model.", "↑"),
    ("against_auroc_<kind>", "AUROC of the headline score against one kind of anomaly alone, where a data set has "
     "several: moving_mnist has other digits (other_class) and other speeds (other_motion).", "↑"),
    ("average_precision", "Sum over thresholds of (recall gained) x precision. Depends on the share of anomalies: "
     "about 0.9 of the test images under one_vs_rest, so guessing gives about 0.9.", "↑"),
    ("fpr95", "Share of normal images flagged at the highest threshold that flags 95% of the anomalous ones.", "↓"),
    ("precision, recall, f1", "At the threshold below which 95% of normal training scores lie: hits / flagged, "
     "hits / anomalous images, and their harmonic mean 2PR / (P + R).", "↑"),
    ("train_reconstruction", "Mean over normal training images of ||x - x'||², the squared error summed over pixels "
     "in [0, 1]; the same unit for every model, whatever loss it was trained with.", "↓"),
    ("test_reconstruction_normal", "The same on normal test images. Well above the training figure: overfitting.", "↓"),
    ("test_reconstruction_anomalous", "The same on anomalous test images. What matters is the gap to the normal ones.",
     "↑"),
    ("train_kl, test_kl_normal, test_kl_anomalous", "KL(N(mu, sigma²) || N(0, I)) = 1/2 sum(mu² + sigma² - log sigma² "
     "- 1), summed over latent dimensions, mean over images, in nats. Near 0 on all images: the code is not used.", ""),
    ("latent_prior_mmd2", "Maximum mean discrepancy, squared, between codes of 256 normal training images (VAE: one "
     "draw of q(z|x) each) and the prior; kernel exp(-||x - y||² / (2 D)), unbiased, the prior's side in closed form. "
     "Around 0 where the codes look like draws of the prior.", "↓"),
    ("latent_prior_kl", "KL(N(m, S) || N(0, I)) in nats, m and S mean and covariance of the aggregated posterior over "
     "256 normal training images. Codes drawn from the prior give about D (D + 3) / 1024: 0.3 for 16 dimensions.", "↓"),
    ("latent_active_units", "Code dimensions whose mean varies over those images with a variance above 0.01 "
     "(Burda et al. 2016).", ""),
    ("train_bits_per_dim, test_bits_per_dim_normal, test_bits_per_dim_anomalous", "-log2 P(k) / D, of an image's grey "
     "levels k in 0..255 at its D pixels, or an upper bound of it; 8 is a uniform guess. Flow, histogram: exact. "
     "Diffusion: its variational bound / (D log 2). Anomalous below normal: the likelihood prefers the simpler images.",
     ""),
    ("gan_value", "V(D, G) = E[log D(x)] + E[log(1 - D(G(z)))] on training images and generated ones.", ""),
    ("gan_value_at_optimum", "-log 4 = -1.386: V where the generator matches the data and D = 1/2.", ""),
    ("gan_d_real, gan_d_fake", "Mean output of the discriminator on real and on generated images; 1/2 at the optimum.",
     ""),
    ("gan_gradient_norm_minimax, gan_gradient_norm_non_saturating", "Norm, over all parameters of the generator, of "
     "the gradient of E[log(1 - D(G(z)))] and of -E[log D(G(z))]. The first vanishes where D is sure of the generated.",
     ""),
    ("gan_wasserstein_distance", "Critic's mean on real less its mean on generated images: its estimate of the "
     "Wasserstein distance, up to the scale of its slope.", ""),
    ("generation_modes_hit, generation_modes", "Normal classes that at least 1% of 2,000 generated images are taken "
     "for by a small classifier of the training split, and how many normal classes there are.", "↑"),
    ("generation_mode_entropy, generation_mode_entropy_real", "Entropy in nats of the shares of the normal classes, of "
     "generated images and of training images.", "↑"),
    ("generation_share_<class>, generation_share_other", "Share of the generated images taken for a class, and for "
     "none of the normal ones.", ""),
    ("generation_frechet_classifier, generation_frechet_classifier_real", "|m - m'|² + tr(S + S' - 2 (S S')^(1/2)) of "
     "means and covariances of that classifier's 64 features, of generated (or other real) images and of real training "
     "images. No FID: it compares with nothing but itself.", "↓"),
    ("generation_classifier_accuracy", "That classifier's accuracy on the official test split.", ""),
    ("train_seconds, score_seconds, evaluate_seconds", "Wall-clock seconds of one cell, on the hardware in the "
     "manifest, other cells possibly beside it; evaluation is scoring, metrics and pictures.", "↓"),
    ("mean", "Mean over the normal classes of a data set, each first averaged over its seeds.", ""),
    ("sd", "Standard deviation over seeds with ddof = 1; n is the number of seeds.", ""),
    ("95% CI over classes, over seeds", "Student's t interval of the mean, m ± t(0.975, n - 1) sd / sqrt(n), of the "
     "class values, or of the seeds' means over all classes.", ""),
    ("average rank", "Mean over classes of a model's rank, 1 for the largest AUROC, ties sharing; only classes that "
     "every model has.", "↓"),
    ("p, p (Holm)", "Two-sided paired Wilcoxon signed-rank test over data set x class cells, raw and with Holm's "
     "step-down correction; only with at least 6 pairs.", ""),
)  # fmt: skip
