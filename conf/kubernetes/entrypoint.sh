#!/usr/bin/env bash
# First process of a container. Spark on Kubernetes starts its pods with the word "executor", or "driver" in cluster mode,
# and tells the rest in variables; any other words are a job: docker run IMAGE headers --warehouse /warehouse.
set -euo pipefail

spark=$(echo "$CAIRN_HOME"/python/lib/python3.*/site-packages/pyspark)

case ${1:-} in
  executor)
    options=()
    for ((number = 0; ; number++)); do
      name=SPARK_JAVA_OPT_$number
      [ -n "${!name+x}" ] || break
      options+=("${!name}")
    done
    export SPARK_HOME=$spark
    exec tini -s -- "$JAVA_HOME/bin/java" ${options[@]+"${options[@]}"} \
      "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
      -cp "${SPARK_CONF_DIR:+$SPARK_CONF_DIR:}$spark/jars/*${SPARK_EXTRA_CLASSPATH:+:$SPARK_EXTRA_CLASSPATH}" \
      org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
      --driver-url "$SPARK_DRIVER_URL" \
      --executor-id "$SPARK_EXECUTOR_ID" \
      --cores "$SPARK_EXECUTOR_CORES" \
      --app-id "$SPARK_APPLICATION_ID" \
      --hostname "$SPARK_EXECUTOR_POD_IP" \
      --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
      --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
  driver)
    shift
    export SPARK_HOME=$spark
    exec tini -s -- "$spark/bin/spark-submit" --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" \
      --deploy-mode client "$@"
    ;;
  *)
    exec tini -s -- /opt/cairn/spark-submit.sh "$@"
    ;;
esac
