variable "replication" {
  description = "The copies of the data in the storage account: LRS, ZRS, GRS or another. Not each region has ZRS."
  type        = string
  default     = "ZRS"
}

