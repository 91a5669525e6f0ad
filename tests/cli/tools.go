//go:build tools
package cli
import _ "github.com/databricks/cli"
