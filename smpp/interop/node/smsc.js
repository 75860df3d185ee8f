// An SMSC by node-smpp, for the tests of this folder's parent.
//
// It listens on a free port of 127.0.0.1. It writes what it sees to stdout, one JSON object
// a line, and reads commands from stdin, one word a line:
//
//   enquire  send enquire_link on every session
//   mo       deliver a subscriber's message to every session
//   unbind   send unbind on every session
//
// It accepts every submit_sm. Message ids are hexadecimal in responses and decimal in
// receipts, as with many real SMSCs.
'use strict';

const readline = require('readline');
const smpp = require('smpp');

smpp.encodings.default = 'ASCII'; // node-smpp's name for GSM 03.38

const sessions = new Set();
let lastID = 0x1A2B3C;

function tell(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

function text(message) {
  if (Buffer.isBuffer(message)) return message.toString('latin1');
  return message.message === undefined ? '' : String(message.message);
}

function header(message) {
  return (message && message.udh || []).map((element) => element.toString('hex')).join('');
}

function payload(pdu) {
  return pdu.message_payload === undefined ? pdu.short_message : pdu.message_payload;
}

function segment(pdu) {
  if (pdu.sar_total_segments === undefined) return '';
  return `${pdu.sar_segment_seqnum}/${pdu.sar_total_segments}`;
}

// A transmitter gets no receipts: they go to the account's receiver, and wait
// until there is one.
const waiting = [];

function deliver(session, fields) {
  const receiver = [session, ...sessions].find((candidate) => candidate.receives);
  if (!receiver) {
    waiting.push(fields);
    return;
  }
  receiver.deliver_sm(fields, (answer) => tell('deliver_sm_resp', { status: answer.command_status }));
}

function receipt(session, pdu, id) {
  deliver(session, {
    esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
    source_addr: pdu.destination_addr,
    source_addr_ton: pdu.dest_addr_ton,
    source_addr_npi: pdu.dest_addr_npi,
    destination_addr: pdu.source_addr,
    receipted_message_id: String(id),
    message_state: smpp.MESSAGE_STATE.DELIVERED,
    user_message_reference: pdu.user_message_reference,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:2402031405 done date:2402031406 stat:DELIVRD err:000 text:`,
  });
}

function submit(session, pdu) {
  const id = ++lastID;
  const message = payload(pdu);
  tell('submit_sm', {
    id: String(id),
    source: pdu.source_addr, source_ton: pdu.source_addr_ton, source_npi: pdu.source_addr_npi,
    destination: pdu.destination_addr, dest_ton: pdu.dest_addr_ton, dest_npi: pdu.dest_addr_npi,
    esm_class: pdu.esm_class, data_coding: pdu.data_coding, registered_delivery: pdu.registered_delivery,
    has_validity: Boolean(pdu.validity_period), has_reference: pdu.user_message_reference !== undefined,
    udh: header(message), sar: segment(pdu), text: text(message),
  });
  session.send(pdu.response({ message_id: id.toString(16).toUpperCase() }));
  if (pdu.registered_delivery & 1) receipt(session, pdu, id);
}

function serve(session) {
  sessions.add(session);
  for (const command of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(command, (pdu) => {
      tell('bind', { command, system_id: pdu.system_id, password: pdu.password, version: pdu.interface_version });
      session.receives = command !== 'bind_transmitter';
      session.send(pdu.response({ system_id: 'node' }));
      if (session.receives) waiting.splice(0).forEach((fields) => deliver(session, fields));
    });
  }
  session.on('submit_sm', (pdu) => submit(session, pdu));
  session.on('enquire_link', (pdu) => {
    tell('enquire_link', {});
    session.send(pdu.response());
  });
  session.on('unbind', (pdu) => {
    tell('unbind', {});
    session.send(pdu.response(), () => session.close());
  });
  session.on('unknown', (pdu) => tell('fault', { message: `unknown command ${pdu.command_id}` }));
  session.on('generic_nack', (pdu) => tell('fault', { message: `generic_nack ${pdu.command_status}` }));
  session.on('error', (error) => tell('fault', { message: error.message }));
  session.on('close', () => {
    sessions.delete(session);
    tell('close', {});
  });
}

const commands = {
  enquire(session) {
    session.enquire_link((answer) => tell('enquire_link_resp', { status: answer.command_status }));
  },
  mo(session) {
    session.deliver_sm({
      source_addr: '4799999999', destination_addr: '1963', short_message: 'STOPP blåbær',
    }, (answer) => tell('mo_resp', { status: answer.command_status }));
  },
  unbind(session) {
    session.unbind((answer) => {
      tell('unbind_resp', { status: answer.command_status });
      session.close();
    });
  },
};

readline.createInterface({ input: process.stdin })
  .on('line', (word) => sessions.forEach((session) => commands[word](session)))
  .on('close', () => process.exit(0));

const server = smpp.createServer(serve);
server.listen(0, '127.0.0.1', () => tell('listening', { port: server.address().port }));
