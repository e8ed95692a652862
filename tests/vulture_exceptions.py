"""What vulture must not report: code that templates, tables or libraries call by its name."""


class _Names:
    def __getattr__(self, name):
        return name


__all__ = ["ELSEWHERE"]

name = _Names()

ELSEWHERE = [
    name.list_commands,  # click asks a group for these two
    name.get_command,
    name.showwarning,  # of the module warnings, replaced
    name.positive_only,  # scikit-learn reads the tag
    name.default_priority,  # Sphinx orders transforms by it
    name.setup,  # Sphinx calls it
    name.format_labels,  # pybtex calls it
    name.default_label_style,  # pybtex reads it
    name.filters,  # Jinja2's, extended
    name.broad,  # the template of the report draws it
    name.left_out,  # the template of the report lists it
    name.performance_kappa,  # named in the table of published laws, and found by its name
    name.load_model,  # for users of the package: a saved model, and what it recommends
    name.recommend,
    name.nist_apen,  # for users of the package: the statistic of NIST SP 800-22
]
