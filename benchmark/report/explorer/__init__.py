"""The explorer: one page to look at the images on which two models, or one model under two rules, disagree most."""
