module lakegate.test/cli
go 1.26.0
require github.com/databricks/cli v1.10.0
