"""Figures and tables of the book; each is loaded when it is first used."""

from perflaw.front_doors import offer_lazily

_DOORS = {
    "data_measures": ["plot_against_changes", "plot_controls", "plot_data_measures"],
    "digitized": ["plot_read_panel"],
    "external": ["plot_dropout_and_size"],
    "extrapolation": [
        "plot_answer",
        "plot_chosen_sizes",
        "plot_signed_errors",
        "plot_transfer_errors",
    ],
    "identification": ["plot_coverage", "plot_profiles", "plot_turning_points"],
    "logs": [
        "plot_apen_by_length",
        "plot_estimator_bias",
        "plot_log_shapes",
        "plot_perturbation_table",
        "plot_process_truth",
        "plot_sensitivity",
    ],
    "models": [
        "plot_beside_paper",
        "plot_cost_check",
        "plot_training_cost",
        "plot_marginal_gains",
        "plot_published_rows",
        "plot_r2_and_ceiling",
        "plot_surfaces",
    ],
    "planning": ["plot_alone_or_joint", "plot_replayed_plan", "plot_seeds"],
    "published": [
        "plot_errors_by_law",
        "plot_printed_against_recomputed",
        "plot_recipe_against_search",
        "plot_small_multiples",
    ],
    "recipes": ["plot_recipes", "plot_tuned_sizes"],
    "saving": ["count_in_words", "glue_values", "save_figure", "save_table"],
}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
