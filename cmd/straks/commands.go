package main

// commands is everything that straks can be asked to do, in the order of its help.
func commands() []command {
	return []command{
		{"check", "say everything that is wrong with a configuration", checkCommand},
		{"token", "make a bearer token and its stanza for the configuration", tokenCommand},
		{"version", "print the version", versionCommand},
	}
}
