package console

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/bcrypt"
)

// Account is a user with a password.
type Account struct {
	Name   string
	Bcrypt string // the hash of the password
	Roles  []Role
}

const (
	minCost, maxCost = 10, 14 // of bcrypt: about 50 ms to 1 s
	newCost          = 12
	minPassword      = 12 // characters
	maxPassword      = 72 // octets that bcrypt uses
)

// HashPassword returns the bcrypt hash of a new password.
func HashPassword(password string) (string, error) {
	if n := len([]rune(password)); n < minPassword {
		return "", fmt.Errorf("the password has %d characters, must have %d at least", n, minPassword)
	}
	if len(password) > maxPassword {
		return "", fmt.Errorf("the password has %d octets, may have %d at most", len(password), maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), newCost)
	return string(hash), err
}

// CheckHash returns why a hash can't be used, or nil. The error continues the sentence that begins with the hash.
func CheckHash(hash string) error {
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil:
		return errors.New("is no bcrypt hash: \"straks console user NAME\" makes one")
	case cost < minCost || cost > maxCost:
		return fmt.Errorf("has the cost %d, must be between %d and %d", cost, minCost, maxCost)
	}
	return nil
}

// accounts checks passwords, one at a time: a flood of logins must not take the processors from the orders.
type accounts struct {
	of    map[string]Account
	dummy string // the hash that a user who does not exist is checked against
	turn  chan struct{}
}

// nobody's hash is of a password that was thrown away.
func newAccounts(all []Account) (*accounts, error) {
	a := &accounts{of: make(map[string]Account), turn: make(chan struct{}, 1)}
	cost := minCost
	for _, account := range all {
		a.of[account.Name] = account
		if c, err := bcrypt.Cost([]byte(account.Bcrypt)); err == nil {
			cost = max(cost, c)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("straks"), cost)
	a.dummy = string(hash)
	return a, err
}

// check returns the user, if the password is right. It takes as long for a user who does not exist.
func (a *accounts) check(name, password string) (User, bool) {
	account, known := a.of[name]
	hash := account.Bcrypt
	if !known {
		hash = a.dummy
	}
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	if !known || err != nil {
		return User{}, false
	}
	return User{account.Name, account.Roles}, true
}
