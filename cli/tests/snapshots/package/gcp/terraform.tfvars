# Your values for the variables in variables.tf. `isobar package` does not change this file.
project = "my-project"
region  = "europe-west1"
