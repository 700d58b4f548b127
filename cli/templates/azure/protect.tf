# Azure has no switch that refuses the deletion of a table or a bucket, and a lock that Terraform made is deleted first. So Terraform
# deletes this before the data, and stops here while protect_data is true.
resource "terraform_data" "protect_data" {
  input = var.protect_data

  provisioner "local-exec" {
    when    = destroy
    command = self.output ? "echo protect_data is true && exit 1" : "exit 0"
  }

  depends_on = [
{{data}}
  ]
}
