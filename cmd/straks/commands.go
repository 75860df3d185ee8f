package main

// commands is everything that straks can be asked to do, in the order of its help.
func commands() []command {
	return []command{
		{"serve", "run the daemon", serveCommand},
		{"demo", "show the main job: an SMS and an e-mail through a sandbox", demoCommand},
		{"sandbox", "run a daemon with simulated carriers, on loopback", sandboxCommand},
		{"init", "create the journal", initCommand},
		{"check", "say everything that is wrong with a configuration", checkCommand},
		{"route", "tell which way an SMS would go, and how", routeCommand},
		{"smsc", "run the simulated SMSC as a program of its own", smscCommand},
		{"token", "make a bearer token and its stanza for the configuration", tokenCommand},
		{"send", "send one SMS or one e-mail", sendCommand},
		{"shipment", "print the status of one shipment", shipmentCommand},
		{"feed", "print the changes of status of your shipments", feedCommand},
		{"status", "print how a running daemon and its carriers are", statusCommand},
		{"journal", "look after the journal: stats, check, compact, backup", journalCommand},
		{"version", "print the version", versionCommand},
	}
}
