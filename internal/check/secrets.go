package check

// secretFiles names the secrets whose files others on the machine may read or change.
func (c *checker) secretFiles() {
	for _, e := range c.cfg.Exposed {
		c.report(Warning, SecretFile, e.Setting, Finding{
			Is: e.Where(), Want: e.Want(),
			Do: "others on this machine can read or change it: take their rights away",
		})
	}
}
