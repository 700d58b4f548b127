variable "replication" {
  description = "The copies of the data in the storage account, such as LRS, ZRS or GRS."
  type        = string
  default     = "ZRS"
}

