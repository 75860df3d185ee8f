package console

// meanings are what each status means and what to do, for those who answer the phone.
var meanings = map[string][2]string{
	"SMS_New":                             {"Ingen operatør kunne ta meldingen. Den er ikke sendt.", "No carrier could take the message. It was not sent."},
	"SMS_Sending":                         {"Meldingen kan være sendt, men operatøren har ikke svart. Den sendes ikke en gang til.", "The message may have left, but the carrier has not answered. It is not sent again."},
	"SMS_Accepted":                        {"Operatøren har meldingen. Mottakeren har den kanskje ikke ennå: telefonen kan være av.", "The carrier has the message. The recipient may not have it yet: the phone may be off."},
	"SMS_Delivered":                       {"Operatøren sier at telefonen har meldingen. Be mottakeren se i søppelpost og blant ukjente avsendere.", "The carrier says that the phone has the message. Ask the recipient to look among spam and unknown senders."},
	"SMS_Failed":                          {"Meldingen kom ikke fram. Operatøren sier ikke hvorfor.", "The message did not arrive. The carrier does not say why."},
	"SMS_Failed_InvalidRecipient":         {"Operatøren kjenner ikke nummeret. Be om nummeret en gang til.", "The carrier does not know the number. Ask for the number again."},
	"SMS_Failed_BarredReceiver":           {"Mottakerens abonnement er sperret for slike meldinger. Mottakeren må spørre sin egen operatør.", "The recipient's subscription bars such messages. The recipient must ask their own operator."},
	"SMS_Failed_Deleted":                  {"Operatøren slettet meldingen.", "The carrier deleted the message."},
	"SMS_Failed_Expired":                  {"Telefonen var ikke å nå i tide. Be mottakeren slå den på og prøve igjen.", "The phone was not in reach in time. Ask the recipient to turn it on and to try again."},
	"SMS_Failed_Undelivered":              {"Operatøren kunne ikke levere. Telefonen kan være av, full eller uten dekning.", "The carrier could not deliver. The phone may be off, full or out of reach."},
	"SMS_Failed_Rejected":                 {"Operatøren avviste meldingen, ofte for avsenderen eller innholdet. Meld fra til driften.", "The carrier rejected the message, often for its sender or content. Tell the operators."},
	"SMS_Failed_RecipientReserved":        {"Nummeret er på sperrelisten, som regel fordi mottakeren har svart STOP.", "The number is on the block list, mostly because the recipient has replied STOP."},
	"SMS_Failed_RecipientNotIdentified":   {"Nummeret er ikke i bruk. Be om nummeret en gang til.", "The number is not in use. Ask for the number again."},
	"SMS_Failed_TTL":                      {"Det kom ingen kvittering i tide. Meldingen kan ha kommet fram.", "No receipt came in time. The message may have arrived."},
	"Email_New":                           {"Ingen e-posttjener kunne ta meldingen. Den er ikke sendt.", "No mail relay could take the message. It was not sent."},
	"Email_Sending":                       {"Meldingen kan være sendt, men e-posttjeneren har ikke svart. Den sendes ikke en gang til.", "The message may have left, but the relay has not answered. It is not sent again."},
	"Email_Succeeded":                     {"Vår e-posttjener har meldingen. Be mottakeren se i søppelpost.", "Our relay has the message. Ask the recipient to look among spam."},
	"Email_Delivered":                     {"Mottakerens e-posttjener har meldingen. Be mottakeren se i søppelpost.", "The recipient's mail server has the message. Ask the recipient to look among spam."},
	"Email_Failed":                        {"Meldingen kom ikke fram.", "The message did not arrive."},
	"Email_Failed_Bounced":                {"Meldingen kom i retur. Be om adressen en gang til.", "The message came back. Ask for the address again."},
	"Email_Failed_RecipientNotIdentified": {"Det finnes ingen slik postkasse. Be om adressen en gang til.", "There is no such mailbox. Ask for the address again."},
	"Email_Failed_InvalidFormat":          {"E-posttjeneren godtar ikke adressen. Be om adressen en gang til.", "The relay does not accept the address. Ask for the address again."},
	"Email_Failed_SuppressedRecipient":    {"Adressen er undertrykt etter tidligere returer.", "The address is suppressed, after earlier bounces."},
	"Email_Failed_RecipientReserved":      {"Adressen er på sperrelisten.", "The address is on the block list."},
	"Email_Failed_TransientError":         {"Mottakerens e-posttjener hadde en midlertidig feil som varte.", "The recipient's mail server had a temporary failure that lasted."},
	"Email_Failed_FilteredSpam":           {"Meldingen ble tatt for søppelpost. Meld fra til driften.", "The message was taken for spam. Tell the operators."},
	"Email_Failed_Quarantined":            {"Meldingen er i karantene hos mottakeren.", "The message is in the recipient's quarantine."},
	"Email_Failed_TTL":                    {"Det kom ingen rapport i tide. Meldingen kan ha kommet fram.", "No report came in time. The message may have arrived."},
}

func (l lang) meaning(status string) string { return meanings[status][l] }
