import { expect, test } from 'vitest';
import { parseCallback } from './callback-hint.ts';

const legacy = {
  task_id: '900000000000000001',
  task_status: 'succeed',
  task_info: { external_task_id: 'att_1' },
  task_result: { images: [], videos: [], audios: [] },
};

test('a legacy body names the task and whether it ended', () => {
  expect(parseCallback(legacy)).toEqual({ taskId: '900000000000000001', externalTaskId: 'att_1', final: true });
  expect(parseCallback({ ...legacy, task_status: 'processing', task_info: {} })).toEqual({
    taskId: '900000000000000001',
    externalTaskId: null,
    final: false,
  });
});

test('a new-standard body names the task and whether it ended', () => {
  const body = { id: '9', status: 'submitted', outputs: [], external_id: 'att_1' };
  expect(parseCallback(body)).toEqual({ taskId: '9', externalTaskId: 'att_1', final: false });
  for (const status of ['succeeded', 'failed', 'a new word'])
    expect(parseCallback({ ...body, status })?.final).toBe(true);
});

test('ids that are no strings are dropped', () => {
  expect(parseCallback({ id: 9, status: 'succeeded' })).toEqual({ taskId: null, externalTaskId: null, final: true });
  expect(parseCallback({ ...legacy, task_id: 9, task_info: 'x' })).toEqual({
    taskId: null,
    externalTaskId: null,
    final: true,
  });
});

test.each([null, 'succeed', [], {}, { id: 'x' }, { type: 'video.completed', data: legacy }])(
  '%j is no callback',
  (body) => {
    expect(parseCallback(body)).toBeUndefined();
  },
);
