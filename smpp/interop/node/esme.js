// An ESME by node-smpp: node esme.js PORT
//
// It binds to 127.0.0.1:PORT as system_id "node" and submits three messages. It writes what
// comes back to stdout, one JSON object a line, and reads commands from stdin:
//
//   enquire  send enquire_link
//   unbind   send unbind, and end
'use strict';

const readline = require('readline');
const smpp = require('smpp');

smpp.encodings.default = 'ASCII'; // node-smpp's name for GSM 03.38

function tell(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

const session = smpp.connect({ url: `smpp://127.0.0.1:${process.argv[2]}` });
const addresses = {
  source_addr: '1963', dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: '4799999999', registered_delivery: 1,
};

function submit(fields) {
  session.submit_sm({ ...addresses, ...fields }, (answer) => {
    tell('submit_sm_resp', { status: answer.command_status, message_id: answer.message_id });
  });
}

session.on('connect', () => {
  session.bind_transceiver({ system_id: 'node', password: 'secret' }, (answer) => {
    tell('bind_resp', { status: answer.command_status, system_id: answer.system_id });
    submit({ data_coding: 0, short_message: 'Blåbær på Ærøy {1} €' });
    submit({ data_coding: 8, short_message: 'Čau 👍' });
    submit({ data_coding: 8, message_payload: { message: 'č'.repeat(200) } });
  });
});
session.on('deliver_sm', (pdu) => {
  tell('deliver_sm', {
    source: pdu.source_addr, destination: pdu.destination_addr, esm_class: pdu.esm_class,
    message_id: pdu.receipted_message_id, state: pdu.message_state, text: pdu.short_message.message,
  });
  session.send(pdu.response());
});
session.on('enquire_link', (pdu) => {
  tell('enquire_link', {});
  session.send(pdu.response());
});
session.on('error', (error) => tell('fault', { message: error.message }));
session.on('generic_nack', (pdu) => tell('fault', { message: `generic_nack ${pdu.command_status}` }));

const commands = {
  enquire: () => session.enquire_link((answer) => tell('enquire_link_resp', { status: answer.command_status })),
  unbind: () => session.unbind((answer) => {
    tell('unbind_resp', { status: answer.command_status });
    session.close(() => process.exit(0));
  }),
};

readline.createInterface({ input: process.stdin })
  .on('line', (word) => commands[word]())
  .on('close', () => process.exit(0));
