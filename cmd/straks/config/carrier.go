package config

// SMSC is one account at one SMSC.
type SMSC struct {
	Name         string // how routes, logs, metrics and the journal call it. Required
	Addr         string // host:port. Required
	SystemID     string // the account's name. Required
	PasswordFile string // file that holds the account's password: a path, or a name in $CREDENTIALS_DIRECTORY. Empty: no password
	Password     string `toml:"-"` // read from PasswordFile
}

func (s *SMSC) reserved() map[string]string {
	return map[string]string{"password": "does not stand here: put it in a file and name that as password_file"}
}

func (s *SMSC) check(c *checker) {
	c.name("name", s.Name)
	c.dial("addr", s.Addr)
	c.required("system_id", s.SystemID)
	s.Password = c.secret("password_file", s.PasswordFile)
}

// Route says which SMSCs a message goes to.
type Route struct {
	Name string
}

// Relay is one mail relay.
type Relay struct {
	Name string // in logs and metrics. Required
	Addr string // host:port. Required
}

func (r *Relay) check(c *checker) {
	c.name("name", r.Name)
	c.dial("addr", r.Addr)
}

func (cfg *Config) checkCarriers(c *checker) {
	names := make(map[string]string)
	for i := range cfg.SMSCs {
		at := c.at("smsc", i)
		cfg.SMSCs[i].check(at)
		at.unique("name", cfg.SMSCs[i].Name, names)
	}
	names = make(map[string]string)
	for i := range cfg.Relays {
		at := c.at("relay", i)
		cfg.Relays[i].check(at)
		at.unique("name", cfg.Relays[i].Name, names)
	}
}
