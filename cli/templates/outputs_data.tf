
output "data" {
  description = "The variables with which the command of isobar, or a program of yours, finds the data of the stage."

  value = {
{{variables}}
  }
}
