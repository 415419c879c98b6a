// Links to Airflow's own pages of a task.

/** The path of a task instance's tab in Airflow's UI. */
export function placeOf(task) {
  const mapped = task.map_index >= 0 ? `/mapped/${task.map_index}` : "";
  return `dags/${encodeURIComponent(task.dag_id)}/runs/${encodeURIComponent(task.run_id)}/tasks/${encodeURIComponent(task.task_id)}${mapped}/plugin/test-runs`;
}

export function nameOf(task) {
  return task.map_index >= 0 ? `${task.task_id} [${task.map_index}]` : task.task_id;
}
