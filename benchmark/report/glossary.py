"""What every metric means: key, formula in words, unit, and which direction is better."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str, str], ...] = (
    ("auroc", "Area under the ROC curve of the headline score; the anomaly is the positive class. "
     "Chance that a random anomalous image scores above a random normal one, ties counting one half. 0.5 is guessing.",
     "↑"),
    ("auroc_se", "Standard error of auroc over the evaluated images, the weights as they are (DeLong et al. 1988): "
     "sqrt(var(V1) / m + var(V0) / n), V1 of each of m anomalous images the share of normal ones below it, V0 of each "
     "of n normal images the share of anomalous ones above it. Intervals are made on the logit scale. What another "
     "seed would change is not in it.", ""),
    ("chosen_auroc_se", "The same under the rule that was chosen for the cell (chosen_rule).", ""),
    ("auroc_<score>", "The same for each named score of the model.", "↑"),
    ("auroc_rule_<rule>", "The same under a rule: a formula that turns what a model says of an image (reconstruction, "
     "code, its own scores) into one score; the weights are those of auroc. Empty where the rule does not apply to the "
     "model, or was not asked for.", "↑"),
    ("own score", "A model's headline score, the rule of its paper: auroc. It is no rule that models share, and has no "
     "part in means over rules, ranges and the analysis of variance.", "↑"),
    ("chosen_rule, chosen rule (†)", "The rule that was chosen for a model and data set beforehand, on validation "
     "images of another data set; it is no choice from the table where it stands.", ""),
    ("against_auroc_<kind>", "AUROC of the headline score against one kind of anomaly alone, where a data set has "
     "several: moving_mnist has other digits (other_class) and other speeds (other_motion).", "↑"),
    ("average_precision", "Sum over thresholds of (recall gained) x precision. Depends on the share of anomalies: "
     "about 0.9 of the test images under one_vs_rest, so guessing gives about 0.9.", "↑"),
    ("fpr95", "Share of normal images flagged at the highest threshold that flags 95% of the anomalous ones. The "
     "anomaly is the positive class; part of the literature on out-of-distribution images (ODIN among it) takes the "
     "normal class as positive, which gives other numbers.", "↓"),
    ("threshold, n_calibration", "The headline score above which an image is flagged: the ceil(0.95 (n + 1))-th "
     "smallest score of n = n_calibration images kept from training (split conformal). A new normal image is flagged "
     "with probability 5% at most, over draws of these images; of a contaminated training set they are contaminated "
     "too, and the bound is 5% / (1 - contamination). None with fewer than 19 of them.", ""),
    ("precision, recall, f1", "At that threshold: hits / flagged, hits / anomalous images, and their harmonic mean "
     "2PR / (P + R). Precision and F1 depend on the share of anomalies: flagging everything has that share as "
     "precision.", "↑"),
    ("false_alarm_rate", "Share of the normal evaluated images above that threshold. 5% is wanted; below it, too few "
     "are flagged.", ""),
    ("steps (updates)", "Training steps of a cell. A step updates each part that is trained then once, a "
     "discriminator discriminator_steps times. 0, shown as fit: fitted in one call.", ""),
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
     "levels k in 0..255 at its D pixels, or an upper bound of it; 8 is a uniform guess. Flow: exact. Diffusion: its "
     "variational bound / (D log 2). Histogram: exact, each pixel on its own. ‡ in the table of bits: more on normal "
     "images than the histogram. Anomalous below normal: the likelihood prefers the simpler images.", ""),
    ("bound_chain_steps, bound_draws", "Where bits per dimension are an upper bound of a Markov chain: its steps, and "
     "from how many noisy versions of an image, each at a step of its own, the bound is estimated. More steps make it "
     "tighter as a rule, more draws its estimate less noisy.", ""),
    ("gan_value", "V(D, G) = E[log D(x)] + E[log(1 - D(G(z)))] on training images and generated ones, of the "
     "discriminator as it was trained: with minibatch discrimination whole batches, with labels each image's own.", ""),
    ("gan_value_at_optimum", "-log 4 = -1.386: V where the generator matches the data and D = 1/2.", ""),
    ("gan_d_real, gan_d_fake", "Mean output of the discriminator on real and on generated images; 1/2 at the optimum.",
     ""),
    ("gan_gradient_norm_minimax, gan_gradient_norm_non_saturating", "Norm, over all parameters of the generator, of "
     "the gradient of E[log(1 - D(G(z)))] and of -E[log D(G(z))]. The first vanishes where D is sure of the generated.",
     ""),
    ("gan_wasserstein_distance", "Critic's mean on real less its mean on generated images: its estimate of the "
     "Wasserstein distance, up to the scale of its slope.", ""),
    ("svdd_code_spread", "Of Deep SVDD: variance of the codes of 256 normal training images, summed over dimensions, "
     "over the squared length of the centre. Near 0: the network brings every normal image to one point, and perhaps "
     "every image.", ""),
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
    ("peak_memory_mib", "MiB that training or scoring under the own score had in use at most, less what was in use "
     "before: of torch's allocator on a GPU, of malloc on a CPU, looked at every 5 ms. Data sets and programs are not "
     "in it. Absent where nothing keeps such a count.", "↓"),
    ("peak_memory_cells", "How many cells peak_memory_mib is of: all that the process had at work at once, those of a "
     "fleet, which train as one, and of fleets beside it.", ""),
    ("range", "Largest less smallest mean AUROC: of a model over rules, of a rule over models; both over the largest "
     "block of models x rules x classes x seeds that are all there.", ""),
    ("share", "Eta squared: the sum of squares of a source in an analysis of variance (fixed effects, the same block) "
     "over the total one. The shares of all sources add up to 100%.", ""),
    ("share within classes", "The same over the total without what the classes explain: how much is the model and how "
     "much the rule, of what there is to tell apart within a class.", ""),
    ("source, df", "model, rule, class, seed: their main effects. model x rule: that another rule suits another model. "
     "residual: every other interaction. df: degrees of freedom, on which a share of chance grows.", ""),
    ("mean", "Mean over the normal classes of a data set, each first averaged over its seeds.", ""),
    ("sd", "Standard deviation over seeds with ddof = 1; n is the number of seeds.", ""),
    ("sd over classes", "Standard deviation (ddof = 1) of the class values: how much the classes differ. They are no "
     "sample of anything, so it is made no interval of the mean.", ""),
    ("95% CI over seeds", "Student's t interval of the mean, m ± t(0.975, n - 1) sd / sqrt(n), of the n seeds' means "
     "over all classes.", ""),
    ("▽", "Behind a column's name: its mean AUROC is below that of a floor (mean_image, histogram, pca as shipped) "
     "over the classes that both have. No conclusion is drawn from it.", ""),
    ("average rank", "Mean over classes of a model's rank, 1 for the largest AUROC, ties sharing; only classes that "
     "every model has.", "↓"),
    ("p, p (Holm)", "Two-sided paired Wilcoxon signed-rank test over classes, of one data set or pooled over data set "
     "x class cells; each value a mean over the seeds that both columns have; pairs without a difference left out, and "
     "at least 6 others. Raw, and with Holm's step-down correction over the table's rows.", ""),
    ("effect", "Matched-pairs rank-biserial correlation: the ranks' sum of the positive differences less that of the "
     "negative ones, over both (Kerby 2014). 1: first is larger in every pair, -1: in none.", ""),
    ("verdict", "Which column is larger where p (Holm) is below 0.05. Not separated: the test found no difference, "
     "which is no proof that there is none.", ""),
)  # fmt: skip
