"""What vulture must not report: code that is used, though not by a module that it reads.

Vulture reads no notebooks and no templates, and does not know what libraries call by name. The
tests check that what stands here for the notebooks is still in one.
"""


class _Names:
    def __getattr__(self, name):
        return name


__all__ = ["ELSEWHERE", "NOTEBOOKS"]

name = _Names()

ELSEWHERE = [
    name.list_commands,  # click asks a group for these two
    name.get_command,
    name.showwarning,  # of the module warnings, replaced
    name.positive_only,  # scikit-learn reads the tag
    name.default_priority,  # Sphinx orders transforms by it
    name.setup,  # Sphinx calls it
    name.filters,  # Jinja2's, extended
    name.broad,  # the template of the report draws it
    name.left_out,  # the template of the report lists it
    name.beyond_one,  # a key of a typed dict
    name.performance_kappa,  # named in the table of published laws, and found by its name
    name.load_model,  # for users of the package: a saved model, and what it recommends
    name.recommend,
    name.nist_apen,  # for users of the package: the statistic of NIST SP 800-22
]

NOTEBOOKS = [
    # perflaw/study/analysis/false_claims.py
    name.load_false_claims,
    # perflaw/laws/design.py
    name.seeds_needed,
    # perflaw/laws/mixed_claims.py
    name.assess_claims,
    # perflaw/laws/mixed_validation.py
    name.choose_form,
    # perflaw/laws/optimum.py
    name.find_optimum,
    name.closed_form_optimum,
    # perflaw/logs/entropy/approximate.py
    name.apen_of_distinct,
    # perflaw/models/ranking_metrics.py
    name.paired_difference,
    name.by_group,
    # perflaw/models/sweeps/results.py
    name.aggregate_seeds,
    # perflaw/study/analysis/data_measures.py
    name.OURS,
    name.perturbation_runs,
    name.paired_conditions,
    name.synthetic_controls,
    name.comparison_table,
    name.noise_ceiling,
    # perflaw/study/analysis/data_size.py
    name.fit_with_data,
    # perflaw/study/analysis/entropy_tables.py
    name.worked_example,
    name.estimator_bias_table,
    name.perturbation_table,
    # perflaw/study/analysis/extrapolation.py
    name.score_predictions,
    name.first_large_run,
    name.summarise_by_law,
    name.shrink_predictions,
    # perflaw/study/analysis/log_tables.py
    name.with_recorded_logs,
    # perflaw/study/analysis/planning.py
    name.replay_plans,
    # perflaw/study/analysis/regularisation.py
    name.tuned_by_size,
    name.decline_from_best,
    name.compare_shared_layers,
    # perflaw/study/analysis/seed_noise.py
    name.seed_sd_by_surface,
    name.user_standard_error,
    name.marginal_gains,
    name.bootstrap_means,
    # perflaw/study/analysis/selection.py
    name.selection_regret,
    name.oracle_success_rate,
    name.summarise_by_rule,
    # perflaw/study/analysis/split_comparison.py
    name.compare_splits,
    # perflaw/study/analysis/study_runs.py
    name.mean_over_surfaces,
    # perflaw/study/analysis/transfer.py
    name.transfer_errors,
    name.leave_one_log_out,
    # perflaw/study/collapsed_runs.py
    name.find_collapsed,
    # perflaw/study/explorer/computation.py
    name.predict_cell,
    name.indistinguishable_range,
    # perflaw/study/external.py
    name.load_grids,
    name.pair_splits,
    name.with_regularisation,
    name.dimension_changes,
    name.difference_of_changes,
    name.mean_changes,
    name.hit_rate_error,
    name.external_surfaces,
    # perflaw/study/figures/data_measures.py
    name.plot_data_measures,
    name.plot_against_changes,
    name.plot_controls,
    # perflaw/study/figures/digitized.py
    name.plot_read_panel,
    # perflaw/study/figures/external.py
    name.plot_dropout_and_size,
    # perflaw/study/figures/extrapolation.py
    name.plot_predictions,
    name.plot_chosen_sizes,
    name.plot_answer,
    name.plot_transfer_errors,
    # perflaw/study/figures/identification.py
    name.plot_profiles,
    name.plot_turning_points,
    name.plot_coverage,
    # perflaw/study/figures/logs.py
    name.plot_log_shapes,
    name.plot_process_truth,
    name.plot_apen_by_length,
    name.plot_sensitivity,
    name.plot_estimator_bias,
    name.plot_perturbation_table,
    # perflaw/study/figures/models.py
    name.plot_published_rows,
    name.plot_surfaces,
    name.plot_beside_paper,
    name.plot_cost_check,
    name.plot_growth,
    name.plot_marginal_gains,
    # perflaw/study/figures/paper_law.py
    name.plot_term,
    name.plot_overview,
    # perflaw/study/figures/planning.py
    name.plot_alone_or_joint,
    name.plot_replayed_plan,
    name.plot_seeds,
    # perflaw/study/figures/public_grids.py
    name.plot_held_or_chosen,
    name.plot_hidden_errors,
    # perflaw/study/figures/published.py
    name.plot_small_multiples,
    name.plot_printed_against_recomputed,
    name.plot_errors_by_law,
    name.plot_recipe_against_search,
    # perflaw/study/figures/saving.py
    name.save_figure,
    name.save_table,
    name.glue_values,
    # perflaw/study/paper/digitize.py
    name.find_figures,
    name.recover_points,
    name.compare_points,
    # perflaw/study/paper/panel_view.py
    name.default_view,
    # perflaw/study/paper/published.py
    name.load_published_rows,
    name.load_protocols,
    # perflaw/study/paper/replication.py
    name.refit_panels,
    name.recipe_against_search,
    name.free_data_parameter,
    name.identification,
    # perflaw/study/paper/simulation.py
    name.interval_coverage,
    name.negative_control,
    # perflaw/study/public_grids.py
    name.step_changes,
    name.judge_regularisation,
    name.candidate_laws,
    name.predict_hidden,
    name.choose_law_by_other_logs,
    name.coverage_along_sizes,
    name.choose_under_other_split,
    # perflaw/study/figures/neighbours.py
    name.plot_compute_errors,
    name.plot_robust_fits,
    name.plot_forecasts,
    # perflaw/study/neighbours
    name.load_own_cells,
    name.score_compute_laws,
    name.summarise,
    name.load_public_cells,
    name.relate_to_coverage,
    name.load_counts,
    name.score_all,
    name.correlate_with_forecast,
    name.load_robust_fits,
    name.count_by_seed,
]
