// The answers of the API that the console reads. docs/openapi.json describes them in full.

type Answer = 'pending' | 'accepted' | 'rejected';

interface Session {
  token: string;
  /** The identity service, without a slash at its end; empty if this page cannot ask it. */
  identity: string;
  user: string;
  project: { id: string; name: string };
  /** `null` if nobody has told. */
  roles: string[] | null;
}

interface Invitation {
  image_id: string;
  image_name: string | null;
  owner: string;
  member_id: string;
  status: Answer;
  created_at: string;
  updated_at: string;
}

interface Member {
  member_id: string;
  image_id: string;
  status: Answer;
  created_at: string;
  updated_at: string;
}

interface Image {
  id: string;
  name: string | null;
  owner: string;
  visibility: string;
  status: string;
  size: number | null;
  disk_format: string | null;
  min_disk: number;
  min_ram: number;
  created_at: string;
  __backup_id?: string;
  [property: string]: unknown;
}

interface Result {
  image_id: string;
  project_id: string;
  status: 'success' | 'failed' | 'running';
  changed?: boolean | string;
  error_code?: string;
  fail_reason?: string;
}

interface Job {
  job_id: string;
  job_type: string;
  status: 'INIT' | 'RUNNING' | 'SUCCESS' | 'FAIL';
  begin_time: string;
  end_time: string | null;
  error_code: string | null;
  fail_reason: string | null;
  entities: {
    total: number;
    succeeded: number;
    failed: number;
    results?: Result[];
    page_info?: PageInfo;
  };
}

interface PageInfo {
  current_count: number;
  next_marker?: string | null;
}

interface Rule {
  owner: string;
  mode: 'accept' | 'reject';
}

/** A request that became a job, so that it can be repeated and told by name. */
interface Batch {
  method: 'POST' | 'PUT' | 'DELETE';
  title: string;
  images: string[];
  projects?: string[];
  status?: 'accepted' | 'rejected';
  vault_id?: string;
}

interface Page<T> {
  rows: T[];
  next: string | null;
}
