# Your values for the variables in variables.tf. `isobar package` does not change this file.
region = "us-east-1"
