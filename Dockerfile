# lightning_mia in a container. On a CPU (the default):
#   docker build -t lightning-mia .
#   docker run --rm -v "$PWD:/data" lightning-mia audit -c audit/demo --run_dir /data/R
# On NVIDIA GPUs:
#   docker build -t lightning-mia:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#   docker run --rm --gpus all --shm-size 2g -v "$PWD:/data" lightning-mia:cuda audit -c audit/demo --run_dir /data/R
# The user in the container has the id 1000; if yours differs (`id -u`), add --user "$(id -u):$(id -g)".
FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=demo
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/lightning_mia
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY configs configs
COPY lightning_mia lightning_mia
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" "torch>=2.11,<2.15,!=2.13.0" "torchaudio>=2.11,<3" \
    && pip install --no-cache-dir ".[$EXTRAS]"
RUN useradd --create-home auditor && chmod 1777 /home/auditor
ENV HOME=/home/auditor USER=auditor
USER auditor
WORKDIR /data
ENTRYPOINT ["lightning-mia"]
CMD ["--help"]
