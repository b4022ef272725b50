"""The address pool of the AWS VPC CNI as a library."""
