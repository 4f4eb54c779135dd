import { expect, test } from 'vitest';
import { readTaskRecord } from './task-record.ts';

const url = 'https://v15-kling-fdl.klingai.com/a.mp4?Expires=1791592000&Signature=x';
const legacy = {
  task_id: '900000000000000001',
  task_status: 'succeed',
  task_status_msg: '',
  task_info: { external_task_id: 'att_1' },
  task_result: { images: [], videos: [{ id: '900000000000000002', url, duration: '5.041' }], audios: [] },
  created_at: 1_789_000_000_000,
  updated_at: 1_789_000_090_000,
  final_unit_deduction: '2.5',
};
const standard = {
  id: '900000000000000001',
  status: 'succeeded',
  message: '',
  create_time: 1_789_000_000_000,
  update_time: 1_789_000_090_000,
  external_id: 'att_1',
  outputs: [{ type: 'video', id: '900000000000000002', url, duration: '5.041' }],
  billing: [{ charge_type: 'unit', amount: '2.5', package_type: 'video' }],
};
const report = {
  taskId: '900000000000000001',
  externalTaskId: 'att_1',
  status: 'succeeded',
  message: '',
  createdAtMs: 1_789_000_000_000,
  updatedAtMs: 1_789_000_090_000,
  video: { id: '900000000000000002', url, duration: '5.041', expiresAtMs: 1_791_592_000_000 },
  deductedUnits: '2.5',
};

test('both generations become the same report', () => {
  expect(readTaskRecord(legacy)).toEqual({ ...report, statusWord: 'succeed' });
  expect(readTaskRecord(standard)).toEqual({ ...report, statusWord: 'succeeded' });
});

test('each generation may use the word of the other', () => {
  expect(readTaskRecord({ ...legacy, task_status: 'succeeded' })?.status).toBe('succeeded');
  expect(readTaskRecord({ ...standard, status: 'succeed' })?.status).toBe('succeeded');
});

test('an unknown word is unknown, not pending', () => {
  expect(readTaskRecord({ ...standard, status: 'archived' })).toMatchObject({
    status: 'unknown',
    statusWord: 'archived',
  });
  expect(readTaskRecord({ ...legacy, task_status: 'Succeed' })).toMatchObject({ status: 'unknown' });
});

test('a record without results is read', () => {
  const { task_result: _result, final_unit_deduction: _units, ...early } = { ...legacy, task_status: 'processing' };
  expect(readTaskRecord({ ...early, task_result: {} })).toMatchObject({
    status: 'processing',
    video: null,
    deductedUnits: null,
  });
  expect(readTaskRecord({ id: '1', status: 'submitted' })).toMatchObject({
    status: 'submitted',
    externalTaskId: null,
    createdAtMs: null,
    video: null,
    deductedUnits: null,
  });
});

test('a failure carries its reason without addresses', () => {
  const failed = {
    ...legacy,
    task_status: 'failed',
    task_status_msg: 'cannot get https://x.y/z?key=1',
    task_result: {},
  };
  expect(readTaskRecord(failed)).toMatchObject({ status: 'failed', message: 'cannot get [url]', video: null });
});

test('a numeric id is refused: its digits are already wrong', () => {
  const parsed: unknown = JSON.parse('{"id":900000000000000001,"status":"succeeded"}');
  expect(readTaskRecord(parsed)).toBeUndefined();
  expect(readTaskRecord(JSON.parse('{"task_id":900000000000000001,"task_status":"succeed"}'))).toBeUndefined();
});

test.each([null, 'text', [], {}, { id: '', status: 'failed' }, { id: 'x' }, { task_id: 'x' }])(
  '%j is no record',
  (value) => {
    expect(readTaskRecord(value)).toBeUndefined();
  },
);

test('unknown fields and odd side values do not make a record unreadable', () => {
  const odd = {
    ...standard,
    create_time: '1789000000000',
    update_time: 'yesterday',
    message: 7,
    external_id: 12,
    outputs: [{ type: 'audio', url }, 'noise', { type: 'video', url, duration: 5.041, id: 3 }],
    invented: { deep: true },
  };
  expect(readTaskRecord(odd)).toMatchObject({
    externalTaskId: null,
    createdAtMs: 1_789_000_000_000,
    updatedAtMs: null,
    message: '',
    video: { id: null, url, duration: '5.041' },
  });
});

test.each([
  [
    [
      { charge_type: 'unit', amount: '2.4' },
      { charge_type: 'unit', amount: '0.6' },
    ],
    '3',
  ],
  [[{ amount: '0' }], '0'],
  [[], null],
  [undefined, null],
  ['2.4', null],
  [[{ charge_type: 'cash', amount: '0.35', currency: 'USD' }], null],
  [
    [
      { charge_type: 'unit', amount: '2' },
      { charge_type: 'cash', amount: '0.35' },
    ],
    null,
  ],
  [
    [
      { charge_type: 'unit', amount: '2' },
      { charge_type: 'cash', amount: '0' },
    ],
    '2',
  ],
  [[{ charge_type: 'unit', amount: 'much' }], null],
  [[{ charge_type: 'unit', amount: '-1' }], null],
  [[{ charge_type: 'unit' }], null],
])('billing %j deducts %s', (billing, units) => {
  expect(readTaskRecord({ ...standard, billing })?.deductedUnits).toBe(units);
});

test.each([
  [{ final_unit_deduction: '2.40' }, '2.4'],
  [{ final_unit_deduction: 3 }, '3'],
  [{ final_unit_deduction: '0' }, '0'],
  [{ final_unit_deduction: null }, null],
  [{ final_unit_deduction: '0', final_balance_deduction: { quota: '0.35', list_price: '0.42' } }, null],
  [{ final_unit_deduction: '2', final_balance_deduction: { quota: '0', list_price: '0' } }, '2'],
  [{ final_unit_deduction: 'NaN' }, null],
])('%j deducts %s', (fields, units) => {
  expect(readTaskRecord({ ...legacy, ...fields })?.deductedUnits).toBe(units);
});
