//go:build !linux

package doctor

func clockSynchronised() clockState { return clockUnknown }
