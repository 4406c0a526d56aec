package check

import "fmt"

// secretFiles names the secrets whose files others on the machine may read or change.
func (c *checker) secretFiles() {
	for _, e := range c.cfg.Exposed {
		c.report(Warning, SecretFile, e.Setting, Finding{
			Is: fmt.Sprintf("in a file of mode %04o", e.Mode), Want: "0440 or less",
			Do: "others on this machine can read or change it: take their rights away",
		})
	}
}
