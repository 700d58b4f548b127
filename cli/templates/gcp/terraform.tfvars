# Your values for the variables in variables.tf. `isobar package` does not change this file.
{{project}}{{sign}} = "{{region}}"
