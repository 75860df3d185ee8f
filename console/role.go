package console

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what a user may do, beside what every user may: look at states and counts, in which there is no recipient.
type Role string

const (
	View    Role = "view"    // nothing more
	Support Role = "support" // find messages, see recipients, lift blocks
	Operate Role = "operate" // pause, drain, resume carriers, and have them try now
)

// ParseRole reads a role of the configuration.
func ParseRole(s string) (Role, error) {
	if !slices.Contains([]string{string(View), string(Support), string(Operate)}, s) {
		return "", fmt.Errorf("is %q, must be one of view, support, operate", s)
	}
	return Role(s), nil
}

// User is a person who has logged in.
type User struct {
	Name  string
	Roles []Role
}

// May reports whether the user has the role. Every user with a role has View.
func (u *User) May(role Role) bool {
	return role == View && len(u.Roles) > 0 || slices.Contains(u.Roles, role)
}

// roles returns the roles for a log.
func (u *User) roles() string {
	names := make([]string, len(u.Roles))
	for i, r := range u.Roles {
		names[i] = string(r)
	}
	return strings.Join(names, " ")
}
