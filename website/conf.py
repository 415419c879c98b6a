"""Sphinx's configuration. `website.build` sets the version in the environment."""

import os

project = "airflow-provider-testerarmy"
author = "The authors of airflow-provider-testerarmy"
version = release = os.environ.get("SITE_VERSION", "latest")
html_title = "Airflow provider for TesterArmy"

extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["strikethrough", "tasklist"]
# GitHub has an anchor for every heading; this gives them the same names.
myst_heading_anchors = 6
copybutton_exclude = ".linenos, .gp"

html_theme = "pydata_sphinx_theme"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "switcher": {"json_url": "../versions.json", "version_match": version},
    "check_switcher": False,
    "navbar_start": ["navbar-logo"],
    "navbar_center": [],
    "navbar_end": ["version-switcher", "theme-switcher"],
    "navbar_persistent": ["search-button-field"],
    "show_nav_level": 1,
    "navigation_depth": 2,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_version_warning_banner": False,
}
html_sidebars = {"**": ["contents.html"]}
templates_path = ["templates"]
