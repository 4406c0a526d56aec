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

// quotedSecrets names the secrets that stand in quotes.
func (c *checker) quotedSecrets() {
	for _, setting := range c.cfg.Quoted {
		c.report(Warning, SecretQuoted, setting, Finding{
			Is: "a secret in quotes", Want: "the secret alone",
			Do: "the quotes are sent as part of it: take them away, unless they belong to it",
		})
	}
}
