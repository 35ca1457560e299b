//! Writers, pictures, plots and the HTML report.
