package main

import (
	"context"
	"fmt"
	"path/filepath"

	"straks/smtp"
	"straks/smtp/returnpath"
)

// mailCommand makes what the way back of mails needs.
func mailCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "mail key [flags]", []command{
		{"key", "make a key of return paths, and print the DNS records of their domain", mailKey},
	})
}

// mailKey makes a key of return paths. Nothing of its secret is printed.
func mailKey(_ context.Context, args []string, e env) error {
	fs := newFlags("mail key [-out DIR] DOMAIN")
	fs.notes = "DOMAIN is mail.bounce_domain. The file can be read by its owner only, and no file is overwritten.\n"
	out := fs.String("out", ".", "the `folder` for the file, which exists")
	operands, err := fs.parse(args, e, "key", "DOMAIN")
	if err != nil {
		return err
	}
	domain, err := smtp.ParseDomain(operands[1])
	if err != nil {
		return misused("mail key: %q is not a domain like bounce.example.org", operands[1])
	}
	dir, err := filepath.Abs(*out)
	if err != nil {
		return err
	}
	key := returnpath.NewKey()
	path := filepath.Join(dir, fmt.Sprintf("%s.%d.key", domain, key.ID))
	if err := writeNew(path, []byte(key.Text()+"\n")); err != nil {
		return fmt.Errorf("mail key: %w", err)
	}
	_, err = fmt.Fprintf(e.stdout, `; DNS, with this host's name and the addresses of your relays in place of those here:

%[1]s. 3600 IN MX 10 straks.example.org.
%[1]s. 3600 IN TXT "v=spf1 ip4:192.0.2.1 -all"

# For the configuration. Where there is a key already, it becomes former_return_path_key_file, and is
# removed after five days. Under systemd, move the file to /etc/straks/credentials and give its bare name.

[mail]
bounce_domain = %[1]q
return_path_key_file = %[2]q
`, domain, path)
	return err
}
